"""Files of events: one module a format, each with its reader and its writer."""
