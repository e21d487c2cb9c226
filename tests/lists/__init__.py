"""Every list: filters, pages, the inbox and searches."""
