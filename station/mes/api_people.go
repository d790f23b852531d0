package mes

import (
	"context"
	"errors"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"linefit/station"
	"linefit/station/people"
)

type (
	// OperatorBody names a pseudonym, and the names behind it to who may know.
	OperatorBody struct {
		Operator station.Actor `json:"operator" doc:"Pseudonym"`
		Names    []string      `json:"names,omitempty" doc:"Names and badges, in small letters"`
	}
	// PeopleBody lists people without names.
	PeopleBody struct {
		Operators []people.Known `json:"operators"`
	}
	// WhoBody is what is done with a person's name.
	WhoBody struct {
		PersonBody
		Who string `json:"who" minLength:"1" maxLength:"64" doc:"Name, badge or pseudonym of the person that it is about"`
		Why string `json:"why" minLength:"1" maxLength:"200" doc:"The reason; it stands in the log and must not name the person"`
	}
	// LinkBody makes another name or badge a person's.
	LinkBody struct {
		PersonBody
		Who  string `json:"who" minLength:"1" maxLength:"64" doc:"Name, badge or pseudonym of the person that it is about"`
		Also string `json:"also" minLength:"1" maxLength:"64" doc:"Another name or badge of that person"`
	}
	operatorOutput struct{ Body OperatorBody }
)

// namePath answers with names.
const namePath = "/v1/operators/name"

// peopleRoutes serve who is who. Names are in requests, and in one answer.
func (s *Server) peopleRoutes(api huma.API) {
	book := s.opt.People
	if book == nil {
		return
	}
	huma.Register(api, look("list-operators", "/v1/operators", "operators", "Pseudonyms of the people who are known, without names"),
		func(context.Context, *struct{}) (*struct{ Body PeopleBody }, error) {
			return &struct{ Body PeopleBody }{PeopleBody{book.List()}}, nil
		})
	huma.Register(api, change("sign-on", "/v1/operators/sign-on", "operators", "A person works here now: name or badge in, pseudonym out"),
		func(ctx context.Context, in *struct{ Body PersonBody }) (*operatorOutput, error) {
			ctx, cancel := s.patience(ctx)
			defer cancel()
			role := in.Body.Role
			if c := callerOf(ctx); c.role != "" {
				role = c.role
			}
			if role == "" {
				role = station.RoleOperator
			}
			actor, err := book.SignOn(ctx, string(in.Body.Operator.Operator), role)
			return s.operator(ctx, actor, nil, err)
		})
	huma.Register(api, change("name-operator", namePath, "operators", "Who a pseudonym is; that it was told stands in the log"),
		func(ctx context.Context, in *struct{ Body WhoBody }) (*operatorOutput, error) {
			return s.about(ctx, in.Body.PersonBody, func(ctx context.Context, by station.Person) (station.Actor, []string, error) {
				return book.Name(ctx, by, in.Body.Who, in.Body.Why)
			})
		})
	huma.Register(api, change("link-operator", "/v1/operators/link", "operators", "Make another name or badge one of a person's"),
		func(ctx context.Context, in *struct{ Body LinkBody }) (*operatorOutput, error) {
			return s.about(ctx, in.Body.PersonBody, func(ctx context.Context, by station.Person) (station.Actor, []string, error) {
				actor, err := book.Link(ctx, by, in.Body.Who, in.Body.Also)
				return actor, nil, err
			})
		})
	huma.Register(api, change("forget-operator", "/v1/operators/forget", "operators", "Erase who a pseudonym is; the log keeps the pseudonym"),
		func(ctx context.Context, in *struct{ Body WhoBody }) (*operatorOutput, error) {
			return s.about(ctx, in.Body.PersonBody, func(ctx context.Context, by station.Person) (station.Actor, []string, error) {
				actor, err := book.Forget(ctx, by, in.Body.Who, in.Body.Why)
				return actor, nil, err
			})
		})
}

// about does something with a person's name.
func (s *Server) about(ctx context.Context, who PersonBody, act func(context.Context, station.Person) (station.Actor, []string, error)) (*operatorOutput, error) {
	ctx, cancel := s.patience(ctx)
	defer cancel()
	by, err := s.person(ctx, who)
	if err != nil {
		return s.operator(ctx, "", nil, err)
	}
	actor, names, err := act(ctx, by)
	return s.operator(ctx, actor, names, err)
}

func (s *Server) operator(ctx context.Context, actor station.Actor, names []string, err error) (*operatorOutput, error) {
	if errors.Is(err, people.ErrNobody) {
		return nil, &Problem{Title: http.StatusText(http.StatusNotFound), Status: http.StatusNotFound, Detail: err.Error()}
	}
	if err != nil {
		return nil, problemOf(callerOf(ctx).lang, err)
	}
	return &operatorOutput{Body: OperatorBody{Operator: actor, Names: names}}, nil
}
