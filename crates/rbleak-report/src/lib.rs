//! A document of facts, tables and findings, and its renderings.
