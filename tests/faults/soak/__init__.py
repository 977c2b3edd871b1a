"""The long runs: `make soak WHAT=storm`, and so on. What each shows, and how it is judged, its file says."""
