//! The syntax of PromQL: lexer, parser, tree with positions, printer.
