"""What happens: one folder a stage, in each pure logic and one thin shell."""
