package client

import (
	"context"
	"net/http"
)

// Get reads a part of the API that has no method of its own here into out.
func (c *Client) Get(ctx context.Context, path string, out any) error {
	return c.call(ctx, http.MethodGet, path, nil, out)
}

// Post changes something through a part of the API that has no method of its
// own here. The error is as for [Client.Do].
func (c *Client) Post(ctx context.Context, path string, body, out any) error {
	return c.call(ctx, http.MethodPost, path, body, out)
}
