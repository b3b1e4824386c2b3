//! The archive as its users see it.

mod builders;
mod damage;
mod format;
mod queries;
mod rewriting;
mod sealing;
mod watching;
