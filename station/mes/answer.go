package mes

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// retryAfter reads the header's number of seconds or date; at most a day.
func retryAfter(s string) time.Duration {
	if n, err := strconv.Atoi(s); err == nil && n > 0 {
		return min(time.Duration(min(n, 86400))*time.Second, 24*time.Hour)
	}
	if at, err := http.ParseTime(s); err == nil {
		return min(max(time.Until(at), 0), 24*time.Hour)
	}
	return 0
}

// answerBody is what the MES may say in the body of a 2xx reply to an event.
type answerBody struct {
	Answer     string `json:"answer,omitempty"`
	Reason     string `json:"reason,omitempty"`
	Ref        string `json:"ref,omitempty"`
	Checkpoint string `json:"checkpoint,omitempty"` // base64 of the newest one that it keeps
}

// parseAnswer reads an answer body leniently: an MES that says nothing, or
// something else, has taken the event all the same.
func parseAnswer(status int, body []byte) answerBody {
	var a answerBody
	if err := json.Unmarshal(body, &a); err != nil {
		a = answerBody{}
		if len(bytes.TrimSpace(body)) > 0 {
			a.Answer = AnswerDeferred
		}
	}
	switch a.Answer {
	case AnswerConfirmed, AnswerRejectedHold, AnswerRejectedPass:
	case "":
		a.Answer = AnswerConfirmed
		if status == http.StatusAccepted { // taken, not processed
			a.Answer = AnswerDeferred
		}
	default:
		a.Answer = AnswerDeferred
	}
	a.Reason, a.Ref = bounded(a.Reason, 200), bounded(a.Ref, 100)
	return a
}

// bounded shortens foreign text so that an entry of the log stays small.
func bounded(s string, limit int) string {
	s = strings.ToValidUTF8(strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, s), "?")
	if len(s) > limit {
		s = strings.ToValidUTF8(s[:limit], "") + "…"
	}
	return s
}
