package mes

import (
	"context"
	"time"

	"linefit/station"
)

// person is who acts: over TCP the token, or whom it names, in the token's role;
// over the socket who the body says.
func (s *Server) person(ctx context.Context, body PersonBody) (by station.Person, err error) {
	c := callerOf(ctx)
	by.Role = body.Role
	if c.role != "" {
		by.Role = c.role
	}
	if by.Role == "" {
		by.Role = station.RoleOperator
	}
	by.Actor, err = s.actor(ctx, body.Operator.Operator)
	return by, err
}

// actor is the pseudonym of who was named, else the token's name.
func (s *Server) actor(ctx context.Context, named station.Actor) (station.Actor, error) {
	switch {
	case named == "":
		return callerOf(ctx).actor, nil
	case s.opt.People == nil:
		return named, nil
	}
	return s.opt.People.Resolve(string(named))
}

// listPatience is how long a list may take: the largest one has its facts written in
// a few minutes, and one that was begun should not wait for the next start.
const listPatience = 15 * time.Minute

// longPatience is [Server.patience] for a request with a list.
func (s *Server) longPatience(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), max(s.opt.Timeout, listPatience))
}

// patience is the time that a change may take when its caller has gone.
func (s *Server) patience(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), s.opt.Timeout)
}
