package smdpsim

import (
	"encoding/json"
	"errors"
	"net/http"
)

// adminPrefix is where the operator's side answers, beside ES9+.
const adminPrefix = "/sim/"

// Admin is the operator's side of the server in JSON, for tests from outside.
// It shows no secret.
//
//	GET  /sim/orders                         every order, as OrderInfo
//	GET  /sim/orders/{id}                    one order
//	POST /sim/orders/{id}/release            Release
//	POST /sim/orders/{id}/withdraw           Withdraw
//	POST /sim/orders/{id}/reset              Reset
//	GET  /sim/notifications                  Notifications
//
// Errors: 404 for an unknown order, 409 where its state does not allow it.
func (s *Server) Admin() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+adminPrefix+"orders", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, s.Orders(), nil)
	})
	mux.HandleFunc("GET "+adminPrefix+"orders/{id}", func(w http.ResponseWriter, r *http.Request) {
		o, ok := s.Order(r.PathValue("id"))
		if !ok {
			answer(w, nil, ErrUnknown)
			return
		}
		answer(w, o, nil)
	})
	for name, act := range map[string]func(string) (OrderInfo, error){"release": s.Release, "withdraw": s.Withdraw, "reset": s.Reset} {
		mux.HandleFunc("POST "+adminPrefix+"orders/{id}/"+name, func(w http.ResponseWriter, r *http.Request) {
			o, err := act(r.PathValue("id"))
			answer(w, o, err)
		})
	}
	mux.HandleFunc("GET "+adminPrefix+"notifications", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, s.Notifications(), nil)
	})
	return mux
}

func answer(w http.ResponseWriter, v any, err error) {
	status := http.StatusOK
	switch {
	case errors.Is(err, ErrUnknown):
		status = http.StatusNotFound
	case errors.Is(err, ErrState):
		status = http.StatusConflict
	case err != nil:
		status = http.StatusInternalServerError
	}
	if err != nil {
		v = map[string]string{"error": err.Error()}
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // a client that went away has no use for an error
}
