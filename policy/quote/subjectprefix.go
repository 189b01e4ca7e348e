package quote

// ForwardPrefix says whether a decoded Subject begins as that of a forward, in
// whatever client and language.
func ForwardPrefix(subject string) bool { return prefixOf(subject) == prefixForward }
