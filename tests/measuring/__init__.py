"""The benchmarks themselves: that they run, and judge by what they measured."""
