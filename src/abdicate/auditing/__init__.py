"""What is described, judged; and what runs, compared with it. Reads, and changes nothing."""
