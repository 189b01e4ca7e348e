//go:build unix

package dispatcher

import (
	"net"
	"syscall"
)

// quiet tells whether a connection is open and nothing has come on it. Reading
// does not tell: one that was interrupted may not have been woken by what came
// just before.
func quiet(conn net.Conn) bool {
	socket, ok := conn.(syscall.Conn)
	if !ok {
		return false
	}
	raw, err := socket.SyscallConn()
	if err != nil {
		return false
	}
	nothing := false
	err = raw.Read(func(fd uintptr) bool {
		_, _, err := syscall.Recvfrom(int(fd), make([]byte, 1), syscall.MSG_PEEK)
		nothing = err == syscall.EAGAIN
		return true
	})
	return err == nil && nothing
}
