package mailauth

import (
	"errors"
	"net"

	"github.com/doppelbox/doppelbox/policy"
)

// isNotFound reports whether the name, or a record of the type, does not
// exist.
func isNotFound(err error) bool {
	var dnsErr *net.DNSError
	return errors.As(err, &dnsErr) && dnsErr.IsNotFound
}

// dnsResult is what a look-up that went wrong means for a result.
func dnsResult(err error) policy.AuthResult {
	var dnsErr *net.DNSError
	if errors.As(err, &dnsErr) && !dnsErr.Temporary() {
		return policy.AuthPermError
	}
	return policy.AuthTempError
}
