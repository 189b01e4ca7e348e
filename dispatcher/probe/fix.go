package probe

// Fix says how a service is mended.
type Fix struct {
	ID    string
	Title string
	// bearer says that the fault is one of the bearer token, for which 401 is
	// the documented answer.
	bearer bool
}

var fixes = map[string]Fix{"signature": {ID: "signature", Title: "Verify the signature by the provider's published keys", bearer: true}}
