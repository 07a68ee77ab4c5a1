//! What the operating system knows of a process: maps, allocator, memory.
