//! The agent inside a Ruby process, its protocol, and the drivers that exercise an app.
