raise RuntimeError("this agent does not load")
