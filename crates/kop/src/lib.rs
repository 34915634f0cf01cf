//! Kernel operations as data: problems, layouts, epilogues, element-wise programs, instruction sets.
