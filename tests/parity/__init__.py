"""abdicate.platforms beside celery.platforms, its model and oracle."""
