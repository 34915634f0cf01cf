//! Suites, runtimes, expectations and tolerances for the tests of every room.
