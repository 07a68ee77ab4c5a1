//! What stands in for injections on processors that they are not built for.

use std::time::Duration;

use super::{InjectError, Injection};
use crate::Pid;

/// As where it is built.
///
/// # Errors
/// Always.
pub fn inject(_pid: Pid, _code: &str) -> Result<Injection, InjectError> {
    Err(InjectError::Architecture)
}

/// As where it is built.
///
/// # Errors
/// Always.
pub fn unmap(_pid: Pid, _address: u64, _length: u64) -> Result<Duration, InjectError> {
    Err(InjectError::Architecture)
}

/// Nobody waits here.
pub fn kick(_pid: Pid, _attempt: u32) {}

/// As where it is built: there is none here.
#[derive(Debug)]
pub enum Frozen {}

impl Frozen {
    /// As where it is built.
    ///
    /// # Errors
    /// Always.
    pub fn of(_pid: Pid) -> Result<Frozen, InjectError> {
        Err(InjectError::Architecture)
    }

    /// As where it is built.
    pub fn pid(&self) -> Pid {
        match *self {}
    }

    /// As where it is built.
    pub fn stopped(&self) -> Duration {
        match *self {}
    }

    /// As where it is built.
    pub fn registers(&self) -> &crate::memory::Registers {
        match *self {}
    }

    /// As where it is built.
    ///
    /// # Errors
    /// As where it is built.
    pub fn end(self) -> Result<(bool, Duration), InjectError> {
        match self {}
    }
}
