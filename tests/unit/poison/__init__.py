"""What no worker can go on with: it says what is wrong, and others go on."""
