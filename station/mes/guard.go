package mes

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"linefit/rework"
	"linefit/station"
	"linefit/station/text"
)

// caller is who sent a request.
type caller struct {
	actor station.Actor // of what is done; empty where the body must say it
	role  rework.Role   // empty where the body must say it
	lang  text.Lang
}

type callerKey struct{}

func callerOf(ctx context.Context) caller {
	if c, ok := ctx.Value(callerKey{}).(caller); ok {
		return c
	}
	return caller{lang: text.English}
}

// maxBody bounds a request's body.
const maxBody = 64 << 10

// Local serves those who may open the unix socket: its permission is the
// authorisation, and the body says who acts.
func (s *Server) Local() http.Handler {
	return s.outer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.serve(w, r, caller{})
	}))
}

// Remote serves TCP: a browser's page must not reach it through a name that
// resolves to this machine (Host, Origin), and changes need a token.
func (s *Server) Remote() http.Handler {
	return s.outer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !s.knownHost(r.Host) {
			writeProblem(w, &Problem{Status: http.StatusMisdirectedRequest, Detail: "the Host header names no host of this station"})
			return
		}
		if o := r.Header.Get("Origin"); o != "" && !s.knownOrigin(o) {
			writeProblem(w, &Problem{Status: http.StatusForbidden, Detail: "requests of another origin's pages are not taken"})
			return
		}
		token, ok := s.tokenOf(r)
		changes := r.Method != http.MethodGet && r.Method != http.MethodHead && r.Method != http.MethodOptions
		probe := r.URL.Path == "/healthz" || r.URL.Path == "/readyz"
		switch {
		case !ok && (changes || s.opt.ReadToken && !probe):
			w.Header().Set("WWW-Authenticate", `Bearer realm="linefit"`)
			writeProblem(w, &Problem{Status: http.StatusUnauthorized, Detail: "a bearer token is needed"})
			return
		case ok && changes && token.ReadOnly:
			writeProblem(w, &Problem{Status: http.StatusForbidden, Detail: "this token only reads"})
			return
		}
		c := caller{actor: station.Actor(token.Name), role: token.Role}
		if c.role == "" {
			c.role = rework.RoleQA
		}
		s.serve(w, r, c)
	}))
}

// outer is what every request gets: limits, counters, no caching.
func (s *Server) outer(next http.Handler) http.Handler {
	return s.metrics.count(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Cache-Control", "no-store")
		h.Set("X-Content-Type-Options", "nosniff")
		r.Body = http.MaxBytesReader(w, r.Body, bodyLimit(r.URL.Path))
		if limit := s.opt.Timeout; r.URL.Path != "/v1/stream" {
			if isHand(r.URL.Path) {
				limit = handLimit
			}
			_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(limit + 30*time.Second)) // not every writer has one
		}
		next.ServeHTTP(w, r)
	}))
}

func (s *Server) serve(w http.ResponseWriter, r *http.Request, c caller) {
	c.lang = acceptLanguage(r.Header.Get("Accept-Language"))
	r = r.WithContext(context.WithValue(r.Context(), callerKey{}, c))
	if r.Method == http.MethodPost && r.URL.Path != namePath { // a name is kept nowhere
		s.keys.serve(w, r, string(c.actor), s.mux)
		return
	}
	s.mux.ServeHTTP(w, r)
}

// acceptLanguage takes the first language that there is a catalogue for.
func acceptLanguage(header string) text.Lang {
	for tag := range strings.SplitSeq(header, ",") {
		tag, _, _ = strings.Cut(strings.TrimSpace(tag), ";")
		if l, ok := text.ParseLang(tag); ok {
			return l
		}
	}
	return text.English
}

// knownHost accepts the names of loopback and the configured ones, with any
// port: a page that an attacker's name brought here carries that name.
func (s *Server) knownHost(hostport string) bool {
	host := hostport
	if h, _, err := net.SplitHostPort(hostport); err == nil {
		host = h
	}
	host = strings.ToLower(strings.Trim(host, "[]"))
	if host == "localhost" || slices.Contains(s.opt.Hosts, host) || slices.Contains(s.opt.Hosts, strings.ToLower(hostport)) {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}

func (s *Server) knownOrigin(origin string) bool {
	u, err := url.Parse(origin)
	return err == nil && (u.Scheme == "http" || u.Scheme == "https") && s.knownHost(u.Host)
}

// tokenOf finds the request's token. All are compared, each in constant time.
func (s *Server) tokenOf(r *http.Request) (Token, bool) {
	scheme, given, ok := strings.Cut(r.Header.Get("Authorization"), " ")
	if !ok || !strings.EqualFold(scheme, "Bearer") {
		return Token{}, false
	}
	sum := sha256.Sum256([]byte(strings.TrimSpace(given)))
	var found Token
	match := 0
	for _, t := range s.opt.Tokens {
		want := sha256.Sum256([]byte(strings.TrimSpace(t.Secret.RevealText())))
		if subtle.ConstantTimeCompare(sum[:], want[:]) == 1 {
			found, match = t, 1
		}
	}
	return found, match == 1
}
