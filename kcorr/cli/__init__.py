"""The `kcorr` command: one file per command, nothing heavy imported before arguments are parsed."""
