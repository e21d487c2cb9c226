"""Every list: filters, pages by key, searches."""
