package admin

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"github.com/rhizome-fl/rhizome/internal/admin"
	"github.com/rhizome-fl/rhizome/link/membership"
	"github.com/rhizome-fl/rhizome/link/state"
)

// Handler serves what commands ask of a running link. Whoever can reach it may do
// everything; serve it on the admin socket only.
func (a *Admin) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /status", func(w http.ResponseWriter, r *http.Request) {
		status, err := a.Status(r.Context())
		answer(w, status, err)
	})
	mux.HandleFunc("GET /doctor", a.targets)
	mux.HandleFunc("GET /tickets", func(w http.ResponseWriter, r *http.Request) {
		tickets, err := a.cfg.Tickets.List(r.Context())
		answer(w, tickets, err)
	})
	mux.HandleFunc("POST /tickets", func(w http.ResponseWriter, r *http.Request) {
		var req membership.TicketRequest
		if !decode(w, r, &req) {
			return
		}
		made, err := a.cfg.Tickets.Create(r.Context(), req)
		answer(w, made, err)
	})
	mux.HandleFunc("DELETE /tickets/{id}", func(w http.ResponseWriter, r *http.Request) {
		answer(w, struct{}{}, a.cfg.Tickets.Revoke(r.Context(), r.PathValue("id")))
	})
	mux.HandleFunc("GET /members", func(w http.ResponseWriter, r *http.Request) {
		members, err := a.cfg.Members.List(r.Context())
		answer(w, members, err)
	})
	mux.HandleFunc("POST /members", func(w http.ResponseWriter, r *http.Request) {
		var req membership.MemberRequest
		if !decode(w, r, &req) {
			return
		}
		answer(w, struct{}{}, a.cfg.Members.Add(r.Context(), req))
	})
	mux.HandleFunc("DELETE /members/{peer}", func(w http.ResponseWriter, r *http.Request) {
		answer(w, struct{}{}, a.cfg.Members.Remove(r.Context(), r.PathValue("peer")))
	})
	mux.HandleFunc("POST /backup", a.serveBackup)
	return mux
}

func decode(w http.ResponseWriter, r *http.Request, into any) bool {
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody)).Decode(into); err != nil {
		admin.WriteError(w, http.StatusBadRequest, fmt.Errorf("read the request: %w", err))
		return false
	}
	return true
}

func answer(w http.ResponseWriter, value any, err error) {
	switch {
	case err == nil:
		admin.WriteJSON(w, value)
	case errors.Is(err, membership.ErrBadRequest):
		admin.WriteError(w, http.StatusBadRequest, err)
	case errors.Is(err, state.ErrNotFound):
		admin.WriteError(w, http.StatusNotFound, err)
	case errors.Is(err, state.ErrNotAllowed), errors.Is(err, state.ErrTooMany):
		admin.WriteError(w, http.StatusConflict, err)
	default:
		admin.WriteError(w, http.StatusServiceUnavailable, err)
	}
}
