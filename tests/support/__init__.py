"""What tests share: tiny trainings, functions on processes of their own, HTTP servers that misbehave on cue."""
