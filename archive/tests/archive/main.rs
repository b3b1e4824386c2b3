//! The archive as its users see it.

mod builders;
mod damage;
mod format;
mod queries;
mod sealing;
mod watching;
