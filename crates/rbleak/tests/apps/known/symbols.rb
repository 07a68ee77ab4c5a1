# Names of variables, which are symbols for good.
THING = Object.new
STEP = lambda do |number|
  THING.instance_variable_set("@name_of_a_variable_number_#{number}", true)
  THING.remove_instance_variable("@name_of_a_variable_number_#{number}")
end
