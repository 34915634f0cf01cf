//! Passes and rules: the machine that matches, guards, traces and drives them.
