//! For tests only: a strict scripted provider server and the play runner.
