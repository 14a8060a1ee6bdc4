"""One deployment in three versions: what each means to runs that were there before."""
