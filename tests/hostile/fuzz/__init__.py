"""Every reader of foreign bytes gets bytes that nobody wrote on purpose, for seconds or for as long as you like."""
