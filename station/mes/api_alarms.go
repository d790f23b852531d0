package mes

import (
	"context"

	"github.com/danielgtaylor/huma/v2"

	"linefit/station/stock"
)

type alarmsOutput struct {
	Body struct {
		Alarms []stock.Alarm `json:"alarms"`
	}
}

// alarmRoutes serves the alarms about the stock.
func (s *Server) alarmRoutes(api huma.API, room *stock.Room) {
	list := func(ctx context.Context, all bool) (*alarmsOutput, error) {
		out := &alarmsOutput{}
		alarms, err := room.Alarms(all)
		out.Body.Alarms = append([]stock.Alarm{}, alarms...)
		return out, stockProblem(ctx, err)
	}
	huma.Register(api, look("list-stock-alarms", "/v1/stock/alarms", "stock", "Codes that somebody else has used, or that were handed out twice"), func(ctx context.Context, in *struct {
		All bool `query:"all" doc:"Those that were ended too"`
	}) (*alarmsOutput, error) {
		return list(ctx, in.All)
	})
	huma.Register(api, change("end-stock-alarm", "/v1/stock/alarms/{id}/end", "stock", "Say what an alarm was about; it takes a lead"), func(ctx context.Context, in *struct {
		ID   string `path:"id" maxLength:"200"`
		Body DecisionBody
	}) (*alarmsOutput, error) {
		ctx, cancel := s.patience(ctx)
		defer cancel()
		by, err := s.person(ctx, in.Body.PersonBody)
		if err == nil {
			err = room.EndAlarm(ctx, by, in.ID, in.Body.Why)
		}
		if err != nil {
			return nil, stockProblem(ctx, err)
		}
		return list(ctx, false)
	})
}
