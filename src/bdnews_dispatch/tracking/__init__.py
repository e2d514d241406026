"""What came back: signed links, opens, clicks, unsubscribes."""
