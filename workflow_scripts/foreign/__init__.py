"""Per-item results that other tools wrote: one module for each format, and matching of items."""
