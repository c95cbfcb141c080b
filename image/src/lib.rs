//! mimeo
