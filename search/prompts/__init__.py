"""The only place that knows how a prompt is laid out as text, and how its reply is read."""
