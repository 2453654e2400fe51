package task

import "testing"

func TestHowAProcessEnded(t *testing.T) {
	for exit, want := range map[Exit]string{
		{Code: 3, Detail: "secret of an app"}: "ended with exit status 3",
		{Code: -1, Signal: "SIGKILL"}:         "was ended by signal SIGKILL",
		{Code: -1}:                            "ended, and its exit status is not known",
	} {
		if got := exit.How(); got != want {
			t.Errorf("%+v: %q, want %q", exit, got, want)
		}
	}
}
