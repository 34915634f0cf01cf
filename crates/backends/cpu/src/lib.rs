//! The CPU backend: answers the planner from the kernel lists and runs plans.
