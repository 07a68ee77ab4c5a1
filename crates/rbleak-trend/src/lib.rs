//! From memory samples to a verdict with its interval.
