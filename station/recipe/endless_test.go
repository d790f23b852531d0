package recipe_test

import (
	"io/fs"
	"strings"
	"testing"

	"linefit/configs"
	"linefit/station/recipe"
)

// A timeout that no number holds would be none.
func TestTimeoutsHaveAnEnd(t *testing.T) {
	text, err := fs.ReadFile(configs.FS, "recipes/consumer.yaml")
	if err != nil {
		t.Fatal(err)
	}
	long := strings.Replace(string(text), "off: 300ms", "off: 99999999999999h", 1)
	if _, err := recipe.Parse("r.yaml", []byte(long)); err == nil || !strings.Contains(err.Error(), `with.off: "99999999999999h" is more than 24h0m0s`) {
		t.Errorf("off: %v", err)
	}
	for _, timeout := range []string{"99999999999999h", "25h"} {
		long := strings.Replace(string(text), "timeout: ", "timeout: "+timeout+" # ", 1)
		if _, err := recipe.Parse("r.yaml", []byte(long)); err == nil || !strings.Contains(err.Error(), "steps[0].timeout: \""+timeout+"\" is more than 24h0m0s") {
			t.Errorf("%s: %v", timeout, err)
		}
	}
}
