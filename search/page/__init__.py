"""The report: one file of HTML that shows what a study found, from its database alone."""
