"""The smallest programs: worker and starter in one `main`."""
