//! Ruby heap dumps: read, diff, trace to their holders.
