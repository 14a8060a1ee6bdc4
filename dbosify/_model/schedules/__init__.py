"""When schedules fire and what they do then, as pure calculation.

The service checks and changes schedules, the runtime fires them; both lie above and
share only this. Times are nanoseconds since 1970 where they may carry jitter, and whole
seconds where they are what a calendar or an interval says.
"""
