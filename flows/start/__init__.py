"""Where somebody stands: what is there is looked at, and a settings file is written that fits it (`nightrank init`)."""
