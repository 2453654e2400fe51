package task

// Routes of our own on the Runtime API. Stock executors do not know them and work without.
// Both carry the task token like every other route; bodies are JSON.
const (
	// PathAwaitTaskEnd answers 204 when the task was ended by somebody other than its app.
	PathAwaitTaskEnd = "/v1/runtime/rhizome/await-task-end"
	// PathReportExit takes an [Exit].
	PathReportExit = "/v1/runtime/rhizome/report-exit"
)
