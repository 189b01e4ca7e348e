package probe

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/doppelbox/doppelbox/dispatcher"
)

// putOff says whether an answer is about the service and not about the request:
// there were too many (RFC 6585 section 4), or it cannot serve now (RFC 9110
// 15.6.4). It tells nothing of what becomes of the action.
func putOff(a dispatcher.Attempt) bool { return a.Status == 429 || a.Status == 503 }

// puttingOff tells of such an answer.
func puttingOff(a dispatcher.Attempt) string {
	text := answerOf(a)
	for _, f := range a.Header {
		if seconds, err := strconv.Atoi(f.Value); err == nil && strings.EqualFold(f.Name, "Retry-After") {
			text += fmt.Sprintf(", Retry-After %d s", seconds)
		}
	}
	if a.Status == 429 {
		return text + ": a rate limit, and no judgement of the request"
	}
	return text + ": the service cannot serve now, which is no judgement of the request"
}

// liftLimit is what helps against being put off.
const liftLimit = "Lift the limit for the test, or try fewer requests at once (--only)"
